"""What may tell who a patient is: the attributes that the standard's Basic Profile takes out or replaces.

DICOM PS3.15, Annex E, Table E.1-1, column 'Basic Prof.', edition 2026d: every attribute with an action of D, Z, X or U,
or a choice of these. The table has 657 rows: 653 name one attribute each, three repeating groups, and one all private
attributes, of which none is ever shown. The list was taken from dicom-anonymizer 2.1.0 (2026c), and compared with
transcriptions that don't rest on it: one made from the standard's own file of 2026d, tag by tag the same; one from the
page of an earlier edition, those of idiscore 1.2.0 (2024) and Luwak 0.1.1 (2025b), with nothing that is missing here.
"""

from __future__ import annotations

from pydicom.datadict import tag_for_keyword

KEYWORDS = frozenset(
    """
    AccessionNumber AcquisitionComments AcquisitionContextDescription AcquisitionContextSequence AcquisitionDate
    AcquisitionDateTime AcquisitionDeviceProcessingDescription AcquisitionFieldOfViewLabel
    AcquisitionProtocolDescription AcquisitionTime AcquisitionUID ActualHumanPerformersSequence AdditionalPatientHistory
    AddressTrial AdmissionID AdmittingDate AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription AdmittingTime
    AffectedSOPInstanceUID Allergies AnnotationGroupDescription AnnotationGroupLabel AnnotationGroupUID
    ApprovalStatusDateTime Arbitrary AssertionDateTime AssertionExpirationDateTime AttributeModificationDateTime
    AuthorObserverSequence BarcodeValue BeamDescription BeamHoldTransitionDateTime BolusDescription BranchOfService
    CalibrationDate CalibrationDateTime CalibrationTime CameraOwnerName CassetteID CertificateOfSigner
    CertifiedTimestamp ChannelDerivationDescription ChannelLabel ClinicalTrialCoordinatingCenterName
    ClinicalTrialProtocolEthicsCommitteeApprovalNumber ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialProtocolID
    ClinicalTrialProtocolName ClinicalTrialSeriesDescription ClinicalTrialSeriesID ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSponsorName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
    ClinicalTrialTimePointDescription ClinicalTrialTimePointID CommentsOnRadiationDose
    CommentsOnThePerformedProcedureStep CompensatorDescription ConcatenationUID ConceptualVolumeCombinationDescription
    ConceptualVolumeDescription ConceptualVolumeUID ConfidentialityConstraintOnPatientDataDescription
    ConstituentConceptualVolumeUID ConsultingPhysicianIdentificationSequence ConsultingPhysicianName
    ContainerComponentID ContainerDescription ContainerIdentifier ContentCreatorIdentificationCodeSequence
    ContentCreatorName ContentDate ContentSequence ContentTime ContextGroupLocalVersion ContextGroupVersion
    ContrastBolusAgent ContrastBolusStartTime ContrastBolusStopTime ContributionDateTime ContributionDescription
    CountryOfResidence CreationDate CreationTime CurrentObserverTrial CurrentPatientLocation CurveDate CurveTime
    CustodialOrganizationSequence DataSetTrailingPadding Date DateOfDocumentOrVerbalTransactionTrial DateOfInstallation
    DateOfLastCalibration DateOfLastDetectorCalibration DateOfManufacture DateOfSecondaryCapture DateTime
    DateTimeOfLastCalibration DecayCorrectionDateTime DecompositionDescription DerivationDescription DestinationAE
    DetectorID DeviceAlternateIdentifier DeviceDescription DeviceLabel DeviceSerialNumber DeviceSettingDescription
    DeviceUID DigitalSignatureDateTime DigitalSignatureUID DigitalSignaturesSequence DimensionOrganizationUID
    DischargeDate DischargeDiagnosisDescription DischargeTime DisplacementReferenceLabel DistributionAddress
    DistributionName DoseReferenceDescription DoseReferenceUID DosimetricObjectiveUID EffectiveDateTime
    EncapsulatedDocument EndAcquisitionDateTime EntityDescription EntityLabel EntityLongLabel EntityName
    EquipmentFrameOfReferenceDescription EthicsCommitteeApprovalEffectivenessEndDate
    EthicsCommitteeApprovalEffectivenessStartDate EthnicGroup EthnicGroupCodeSequence ExclusionStartDateTime
    ExpectedCompletionDateTime FailedSOPInstanceUIDList FiducialUID FillerOrderNumberImagingServiceRequest
    FilterLookupTableDescription FindingsGroupRecordingDateTrial FindingsGroupRecordingTimeTrial FirstTreatmentDate
    FixationDeviceDescription FlowIdentifier FlowIdentifierSequence FractionGroupDescription FractionationNotes
    FrameAcquisitionDateTime FrameComments FrameOfReferenceUID FrameOriginTimestamp FrameReferenceDateTime
    FunctionalSyncPulse GPSAltitude GPSAltitudeRef GPSAreaInformation GPSDOP GPSDateStamp GPSDestBearing
    GPSDestBearingRef GPSDestDistance GPSDestDistanceRef GPSDestLatitude GPSDestLatitudeRef GPSDestLongitude
    GPSDestLongitudeRef GPSDifferential GPSImgDirection GPSImgDirectionRef GPSLatitude GPSLatitudeRef GPSLongitude
    GPSLongitudeRef GPSMapDatum GPSMeasureMode GPSProcessingMethod GPSSatellites GPSSpeed GPSSpeedRef GPSStatus
    GPSTimeStamp GPSTrack GPSTrackRef GPSVersionID GantryID GeneratorID GraphicAnnotationSequence
    HL7DocumentEffectiveTime HangingProtocolCreationDateTime HardcopyCreationDeviceID HumanPerformerName
    HumanPerformerOrganization IconImageSequence IdentifyingComments ImageComments ImagePresentationComments
    ImagingServiceRequestComments ImpedanceMeasurementDateTime Impressions InformationIssueDateTime
    InstanceCoercionDateTime InstanceCreationDate InstanceCreationTime InstanceCreatorUID InstanceOriginStatus
    InstitutionAddress InstitutionCodeSequence InstitutionName InstitutionalDepartmentName
    InstitutionalDepartmentTypeCodeSequence InstructionPerformedDateTime InsurancePlanIdentification
    IntendedFractionStartTime IntendedPhaseEndDate IntendedPhaseStartDate
    IntendedRecipientsOfResultsIdentificationSequence InterlockDateTime InterlockDescription InterlockOriginDescription
    InterpretationApprovalDate InterpretationApprovalTime InterpretationApproverSequence InterpretationAuthor
    InterpretationDiagnosisDescription InterpretationID InterpretationIDIssuer InterpretationRecordedDate
    InterpretationRecordedTime InterpretationRecorder InterpretationText InterpretationTranscriber
    InterpretationTranscriptionDate InterpretationTranscriptionTime InterventionDrugStartTime InterventionDrugStopTime
    IrradiationEventUID IssueDateOfImagingServiceRequest IssueTimeOfImagingServiceRequest IssuerOfAdmissionID
    IssuerOfAdmissionIDSequence IssuerOfClinicalTrialProtocolID IssuerOfClinicalTrialSeriesID
    IssuerOfClinicalTrialSiteID IssuerOfClinicalTrialSubjectID IssuerOfClinicalTrialSubjectReadingID
    IssuerOfClinicalTrialTimePointID IssuerOfPatientID IssuerOfServiceEpisodeID IssuerOfServiceEpisodeIDSequence
    IssuerOfTheContainerIdentifierSequence IssuerOfTheSpecimenIdentifierSequence LabelText
    LargePaletteColorLookupTableUID LastMenstrualDate LensMake LensModel LensSerialNumber LensSpecification
    LongDeviceDescription MAC MakerNote ManufacturerDeviceClassUID ManufacturerDeviceIdentifier
    MediaStorageSOPInstanceUID MedicalAlerts MedicalRecordLocator MilitaryRank ModifiedAttributesSequence
    ModifiedImageDate ModifiedImageDescription ModifiedImageTime ModifyingDeviceID ModifyingSystem
    MostRecentTreatmentDate MultienergyAcquisitionDescription MultiplexGroupLabel MultiplexGroupUID
    NameOfPhysiciansReadingStudy NamesOfIntendedRecipientsOfResults NetworkID NonconformingDataElementValue
    NonconformingModifiedAttributesSequence ObservationDateTime ObservationDateTrial ObservationStartDateTime
    ObservationSubjectUIDTrial ObservationTimeTrial ObservationUID Occupation OperatorIdentificationSequence
    OperatorsName OrderCallbackPhoneNumber OrderCallbackTelecomInformation OrderEnteredBy OrderEntererLocation
    OriginalAttributesSequence Originator OtherClinicalTrialProtocolIDsSequence OtherPatientIDs OtherPatientIDsSequence
    OtherPatientNames OverlayDate OverlayTime OverrideDateTime PaletteColorLookupTableUID ParticipantSequence
    ParticipationDateTime PatientAddress PatientAge PatientBirthDate PatientBirthName PatientBirthTime PatientComments
    PatientID PatientInstitutionResidence PatientInsurancePlanCodeSequence PatientMotherBirthName PatientName
    PatientPrimaryLanguageCodeSequence PatientPrimaryLanguageModifierCodeSequence PatientReligiousPreference
    PatientSetupPhotoDescription PatientSetupUID PatientSex PatientSexNeutered PatientSize PatientState
    PatientTelecomInformation PatientTelephoneNumbers PatientTransportArrangements
    PatientTreatmentPreparationMethodDescription PatientTreatmentPreparationProcedureParameterDescription PatientWeight
    PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepEndDate PerformedProcedureStepEndDateTime
    PerformedProcedureStepEndTime PerformedProcedureStepID PerformedProcedureStepStartDate
    PerformedProcedureStepStartDateTime PerformedProcedureStepStartTime PerformedStationAETitle
    PerformedStationGeographicLocationCodeSequence PerformedStationName PerformedStationNameCodeSequence
    PerformingPhysicianIdentificationSequence PerformingPhysicianName PersonAddress PersonIdentificationCodeSequence
    PersonName PersonTelecomInformation PersonTelephoneNumbers PhysicianApprovingInterpretation PhysiciansOfRecord
    PhysiciansOfRecordIdentificationSequence PhysiciansReadingStudyIdentificationSequence
    PlacerOrderNumberImagingServiceRequest PlateID PositionAcquisitionTemplateDescription
    PositionAcquisitionTemplateName PreMedication PregnancyStatus PrescriptionDescription PrescriptionNotes
    PrescriptionNotesSequence PresentationCreationDate PresentationCreationTime PresentationDisplayCollectionUID
    PresentationSequenceCollectionUID PriorTreatmentDoseDescription ProcedureStepCancellationDateTime
    ProductExpirationDateTime ProtocolName PyramidDescription PyramidLabel PyramidUID ROICreatorSequence ROIDateTime
    ROIDescription ROIGenerationDescription ROIInterpreter ROIInterpreterSequence ROIName ROIObservationDateTime
    ROIObservationDescription ROIObservationLabel RTAccessoryDeviceSlotID RTAccessoryHolderSlotID
    RTPhysicianIntentNarrative RTPlanDate RTPlanDescription RTPlanLabel RTPlanName RTPlanTime RTPrescriptionLabel
    RTToleranceSetLabel RTTreatmentApproachLabel RTTreatmentPhaseUID RadiationDoseIdentificationLabel
    RadiationDoseInVivoMeasurementLabel RadiationGenerationModeDescription RadiationGenerationModeLabel
    RadiopharmaceuticalStartDateTime RadiopharmaceuticalStartTime RadiopharmaceuticalStopDateTime
    RadiopharmaceuticalStopTime ReasonForOmissionDescription ReasonForRequestedProcedureCodeSequence ReasonForStudy
    ReasonForSuperseding ReasonForTheAttributeModification ReasonForTheImagingServiceRequest
    ReasonForTheRequestedProcedure ReasonForVisit ReasonForVisitCodeSequence ReceivingAE RecordedRTControlPointDateTime
    ReferencedConceptualVolumeUID ReferencedDateTime ReferencedDigitalSignatureSequence ReferencedDoseReferenceUID
    ReferencedDosimetricObjectiveUID ReferencedFiducialsUID ReferencedFrameOfReferenceUID
    ReferencedGeneralPurposeScheduledProcedureStepTransactionUID ReferencedImageSequence ReferencedObservationUIDTrial
    ReferencedPatientAliasSequence ReferencedPatientPhotoSequence ReferencedPatientSequence
    ReferencedPerformedProcedureStepSequence ReferencedSOPInstanceMACSequence ReferencedSOPInstanceUID
    ReferencedSOPInstanceUIDInFile ReferencedStudySequence ReferencedTreatmentPositionGroupUID ReferringPhysicianAddress
    ReferringPhysicianIdentificationSequence ReferringPhysicianName ReferringPhysicianTelephoneNumbers RegionOfResidence
    RelatedFrameOfReferenceUID RequestAttributesSequence RequestedContrastAgent RequestedProcedureComments
    RequestedProcedureDescription RequestedProcedureID RequestedProcedureLocation RequestedSOPInstanceUID
    RequestedSeriesDescription RequestingAE RequestingPhysician RequestingService
    RespiratoryMotionCompensationTechniqueDescription ResponsibleOrganization ResponsiblePerson ResultsComments
    ResultsDistributionListSequence ResultsID ResultsIDIssuer RetrieveAETitle ReviewDate ReviewTime ReviewerName
    SOPAuthorizationDateTime SOPInstanceUID SafePositionExitDate SafePositionExitTime SafePositionReturnDate
    SafePositionReturnTime ScheduledAdmissionDate ScheduledAdmissionTime ScheduledDischargeDate ScheduledDischargeTime
    ScheduledHumanPerformersSequence ScheduledPatientInstitutionResidence
    ScheduledPerformingPhysicianIdentificationSequence ScheduledPerformingPhysicianName
    ScheduledProcedureStepDescription ScheduledProcedureStepEndDate ScheduledProcedureStepEndTime
    ScheduledProcedureStepExpirationDateTime ScheduledProcedureStepID ScheduledProcedureStepLocation
    ScheduledProcedureStepModificationDateTime ScheduledProcedureStepStartDate ScheduledProcedureStepStartDateTime
    ScheduledProcedureStepStartTime ScheduledStationAETitle ScheduledStationGeographicLocationCodeSequence
    ScheduledStationName ScheduledStationNameCodeSequence ScheduledStudyLocation ScheduledStudyLocationAETitle
    ScheduledStudyStartDate ScheduledStudyStartTime ScheduledStudyStopDate ScheduledStudyStopTime
    SecondaryCaptureDeviceID SelectorAEValue SelectorASValue SelectorDAValue SelectorDTValue SelectorLOValue
    SelectorLTValue SelectorOBValue SelectorPNValue SelectorSHValue SelectorSTValue SelectorTMValue SelectorUNValue
    SelectorURValue SelectorUTValue SeriesDate SeriesDescription SeriesInstanceUID SeriesTime ServiceEpisodeDescription
    ServiceEpisodeID SetupTechniqueDescription ShieldingDeviceDescription SlideIdentifier SmokingStatus
    SourceConceptualVolumeUID SourceEndDateTime SourceFrameOfReferenceUID SourceIdentifier SourceImageSequence
    SourceManufacturer SourceOfPreviousValues SourceSerialNumber SourceStartDateTime SourceStrengthReferenceDate
    SourceStrengthReferenceTime SpecialNeeds SpecimenAccessionNumber SpecimenDetailedDescription SpecimenIdentifier
    SpecimenPreparationSequence SpecimenShortDescription SpecimenUID StartAcquisitionDateTime StationAETitle StationName
    StorageMediaFileSetUID StructureSetDate StructureSetDescription StructureSetLabel StructureSetName StructureSetTime
    StudyArrivalDate StudyArrivalTime StudyComments StudyCompletionDate StudyCompletionTime StudyDate StudyDescription
    StudyID StudyIDIssuer StudyInstanceUID StudyReadDate StudyReadTime StudyTime StudyVerifiedDate StudyVerifiedTime
    SubstanceAdministrationDateTime SynchronizationFrameOfReferenceUID TableTopPositionAlignmentUID TargetUID
    TelephoneNumberTrial TemplateExtensionCreatorUID TemplateExtensionOrganizationUID TemplateLocalVersion
    TemplateVersion TextComments TextString Time TimeOfDocumentCreationOrVerbalTransactionTrial TimeOfLastCalibration
    TimeOfLastDetectorCalibration TimeOfSecondaryCapture TimezoneOffsetFromUTC TopicAuthor TopicKeywords TopicSubject
    TopicTitle TrackingUID TransactionUID TransducerIdentificationSequence TreatmentControlPointDate
    TreatmentControlPointTime TreatmentDate TreatmentMachineName TreatmentPositionGroupLabel TreatmentPositionGroupUID
    TreatmentSessionUID TreatmentSite TreatmentSites TreatmentTechniqueNotes TreatmentTime
    TreatmentToleranceViolationDateTime TreatmentToleranceViolationDescription UDISequence UID UnformattedTextValue
    UniqueDeviceIdentifier UserContentLabel UserContentLongLabel VerbalSourceIdentifierCodeSequenceTrial
    VerbalSourceTrial VerificationDateTime VerifyingObserverIdentificationCodeSequence VerifyingObserverName
    VerifyingObserverSequence VerifyingOrganization VisitComments WaveformAnnotationSequence WaveformFilterDescription
    XRayDetectorID XRayDetectorLabel XRaySourceID
    """.split()
)

# In the table, but too new for pydicom's dictionary.
_WITHOUT_KEYWORD = {
    0x00081301,  # Principal Diagnosis Code Sequence
    0x00081302,  # Primary Diagnosis Code Sequence
    0x00081303,  # Secondary Diagnoses Code Sequence
    0x00081304,  # Histological Diagnoses Code Sequence
    0x00100011,  # Person Names to Use Sequence
    0x00100012,  # Name to Use
    0x00100013,  # Name to Use Comment
    0x00100014,  # Third Person Pronouns Sequence
    0x00100015,  # Pronoun Code Sequence
    0x00100016,  # Pronoun Comment
    0x00100041,  # Gender Identity Sequence
    0x00100042,  # Sex Parameters for Clinical Use Category Comment
    0x00100043,  # Sex Parameters for Clinical Use Category Sequence
    0x00100044,  # Gender Identity Code Sequence
    0x00100045,  # Gender Identity Comment
    0x00100046,  # Sex Parameters for Clinical Use Category Code Sequence
    0x00100047,  # Sex Parameters for Clinical Use Category Reference
    0x00102162,  # Ethnic Groups
    0x0040A034,  # Effective Start DateTime
    0x0040A035,  # Effective Stop DateTime
    0x0040B034,  # Annotation DateTime
    0x0040B036,  # Segment Definition DateTime
    0x0040B03B,  # Montage Name
    0x0040B03F,  # Montage Channel Label
    0x0040E012,  # Display URI
    0x3004007F,  # Dose Calculation Model Name
}
# Curves of any group 50xx; data and comments of overlays of any group 60xx.
_CURVES, _OVERLAYS = 0x50000000, (0x60003000, 0x60004000)
# Groups of an odd number.
_PRIVATE = 0x00010000
_TAGS = frozenset(tag_for_keyword(keyword) for keyword in KEYWORDS) | _WITHOUT_KEYWORD


def is_confidential(tag: int) -> bool:
    """Return whether the Basic Profile takes out or replaces `tag`: all private ones, and those listed."""
    return bool(tag & _PRIVATE) or tag in _TAGS or tag & 0xFF000000 == _CURVES or tag & 0xFF00FFFF in _OVERLAYS
