"""The three tours."""

from pages.shared.tours.clinician import CLINICIAN
from pages.shared.tours.educator import EDUCATOR
from pages.shared.tours.reviewer import REVIEWER

TOURS = {tour.key: tour for tour in (CLINICIAN, EDUCATOR, REVIEWER)}
