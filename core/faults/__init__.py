"""Bit flips in a network's memory: where they strike, what they do, which are the worst."""

from core.faults.bits import FORMATS, bits_of, flip_bit, flipped_value
from core.faults.campaign import Trial, campaign_summary, measure_faults, run_campaign
from core.faults.draws import CampaignSettings
from core.faults.guard import GUARDS, Guard, RepairReport
from core.faults.parts import network_parts, stage_of
from core.faults.ranges import Ranges, learn_ranges, out_of_range
from core.faults.recompute import Recompute
from core.faults.record import FaultRecord, read_faults
from core.faults.scrubber import BundleScrubber, Finding
from core.faults.sites import (
    KINDS,
    Fault,
    activation_sites,
    check_fault,
    damaged,
    damaged_bundle,
    fault_sites,
    network_digest,
)
from core.faults.worst_case import SearchStep, worst_case_steps

__all__ = [
    "FORMATS",
    "GUARDS",
    "KINDS",
    "CampaignSettings",
    "Fault",
    "FaultRecord",
    "Finding",
    "Guard",
    "Ranges",
    "Recompute",
    "RepairReport",
    "SearchStep",
    "BundleScrubber",
    "Trial",
    "activation_sites",
    "bits_of",
    "campaign_summary",
    "check_fault",
    "damaged",
    "damaged_bundle",
    "fault_sites",
    "flip_bit",
    "flipped_value",
    "learn_ranges",
    "measure_faults",
    "network_digest",
    "network_parts",
    "out_of_range",
    "read_faults",
    "run_campaign",
    "stage_of",
    "worst_case_steps",
]
