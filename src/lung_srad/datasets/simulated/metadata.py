"""The text files of a simulated corpus, as ICBHI 2017 has them."""

from collections.abc import Sequence

from lung_srad.datasets.icbhi_files import FOLD_FILE, SPLIT_FILE
from lung_srad.datasets.simulated.plan import Patient, RecordingPlan
from lung_srad.datasets.simulated.population import generator

FOLDS = 5


def annotation_text(plan: RecordingPlan) -> str:
    """Returns the annotation of a recording: start, end, crackle, wheeze of every cycle, separated by tabs."""
    return "".join(
        f"{cycle.start:g}\t{cycle.end:g}\t{cycle.label_crackle:d}\t{cycle.label_wheeze:d}\n" for cycle in plan.cycles
    )


def side_files(plans: Sequence[RecordingPlan], seed: int) -> dict[str, str]:
    """Returns name -> content: split, folds of patients, demographic data and diagnoses."""
    patients = list({plan.patient.number: plan.patient for plan in plans}.values())
    site_of = {plan.patient.number: plan.site for plan in reversed(plans)}
    folds = _folds(plans, seed)
    return {
        SPLIT_FILE: "".join(f"{plan.name}\t{plan.split}\n" for plan in plans),
        FOLD_FILE: "".join(f"{patient.number} {folds[patient.number]}\n" for patient in patients),
        "metadata.txt": "".join(_demographic(patient, site_of[patient.number]) for patient in patients),
        "patient_diagnosis.txt": "".join(f"{patient.number}\t{patient.diagnosis}\n" for patient in patients),
    }


def _demographic(patient: Patient, site: str) -> str:
    """Returns number, age, sex, BMI of an adult, weight and height of a child, and a site."""
    adult, child = f"{patient.bmi}\tNA\tNA", f"NA\t{patient.weight}\t{patient.height}"
    return f"{patient.number}\t{patient.age}\t{patient.sex}\t{child if patient.child else adult}\t{site}\n"


def _folds(plans: Sequence[RecordingPlan], seed: int) -> dict[int, int]:
    """Returns patient -> one of five folds; each device is spread over them."""
    device_of = {plan.patient.number: plan.device for plan in plans}
    numbers = generator(seed, "folds").permutation(sorted(device_of)).tolist()
    return {number: place % FOLDS for place, number in enumerate(sorted(numbers, key=device_of.__getitem__))}
