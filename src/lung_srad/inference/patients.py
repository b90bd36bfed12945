"""Who was recorded: from the names of ICBHI and SPRSound, or from a table."""

import csv
from pathlib import Path

from lung_srad.datasets.icbhi_files import Name as IcbhiName
from lung_srad.datasets.sprsound_files import Name as SprsoundName
from lung_srad.errors import DataError, message

_COLUMNS = ("recording", "patient")


def patient_of(path: Path) -> str:
    """Returns the patient in a name of ICBHI or SPRSound; nothing where a file is called otherwise."""
    name = IcbhiName.parse(path.stem) or SprsoundName.parse(path.stem)
    return name.patient if name else ""


def read_patients(path: Path) -> dict[str, str]:
    """Returns the patient of each recording, by its name with or without the suffix, from a CSV.

    Raises:
        DataError: the table cannot be read, lacks a column, or names a recording twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader]
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        seen = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise DataError(message(path, seen, "a CSV in UTF-8", "check the path, or save it again")) from error
    if not {*_COLUMNS} <= {*header}:
        seen = f"the first line is {','.join(header)[:80]!r}"
        raise DataError(message(path, seen, "the columns recording and patient", "name the columns in the first line"))
    found: dict[str, str] = {}
    for line, row in rows:
        recording, patient = (Path(row[name] or "").name.strip() for name in _COLUMNS)
        if not recording or not patient or found.get(recording, patient) != patient:
            seen = f"line {line}: recording {recording[:80]!r}, patient {patient[:80]!r}"
            raise DataError(message(path, seen, "each recording once, with its patient", "correct the line"))
        found[recording] = patient
    return found
