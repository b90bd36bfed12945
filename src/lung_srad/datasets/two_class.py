"""Another corpus with two classes: normal, and abnormal for everything else."""

from dataclasses import replace

from lung_srad.datasets.contract import Cycle, Dataset, Scan


class TwoClass(Dataset):
    """The same cycles under two labels (DECISIONS: two-class-training); its fingerprint is another one."""

    class_names = ("normal", "abnormal")
    normal = 0

    def __init__(self, corpus: Dataset) -> None:
        self.corpus = corpus
        self.name, self.location = corpus.name, corpus.location
        self.splits, self.scheme, self.synthetic = corpus.splits, corpus.scheme, corpus.synthetic
        self.default_scheme, self.keeps_patients_apart = corpus.default_scheme, corpus.keeps_patients_apart

    def scan(self) -> Scan:
        """Returns what the corpus finds, its labels made two."""
        found = self.corpus.scan()
        return replace(found, cycles=[self._labelled(cycle) for cycle in found.cycles])

    def patient_facts(self) -> dict[str, dict[str, str]]:
        """Returns what the corpus knows of its patients."""
        return self.corpus.patient_facts()

    def _labelled(self, cycle: Cycle) -> Cycle:
        return cycle if cycle.label is None else replace(cycle, label=int(cycle.label != self.corpus.normal))
