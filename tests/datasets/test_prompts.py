"""The closed list of sentences, and which of them belongs to a cycle."""

import pickle
import re
from functools import partial
from pathlib import Path

import pytest
import torch

from lung_srad.audio import Frontend
from lung_srad.datasets import ICBHI, Cycle, CycleDataset, FeatureCache, Prompted, prompt_index
from lung_srad.datasets.demographics import FILES, Person, find_people
from lung_srad.datasets.icbhi import PUBLISHED
from lung_srad.datasets.icbhi_files import DEVICES, Name
from lung_srad.prompt_texts import DEVICES as WORDED
from lung_srad.prompt_texts import PROMPTS, SITES, UNKNOWN, prompt_number, unknown_parts


def cycle(**known) -> Cycle:
    return Cycle("a#0", Path("a.wav"), 0, 1, 0, "p", "a", **known)


def sentence(location: str = "published", **known) -> str:
    return PROMPTS[prompt_index(cycle(**known), location)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (
            {"listed_site": "Al", "age": 70.0, "sex": "M", "device": "Meditron"},
            "the left anterior chest of an adult male patient, using a Meditron stethoscope",
        ),
        (
            {"listed_site": "Tc", "age": 19.0, "sex": "F", "device": "AKGC417L"},
            "the trachea of an adult female patient, using an AKGC417L microphone",
        ),
        (
            {"listed_site": "Lr", "age": 18.9, "sex": "F", "device": "Litt3200"},
            "the right lateral chest of a female pediatric patient, using a Litt3200 stethoscope",
        ),
        (
            {"listed_site": "Pl", "age": 3.0, "device": "LittC2SE"},
            "the left posterior chest of a pediatric patient with unknown sex, using a LittC2SE stethoscope",
        ),
        ({"age": 40.0}, "an unknown region of an adult patient with unknown sex, using an unknown device"),
        ({"sex": "M"}, "an unknown region of a male patient with unknown age, using an unknown device"),
        (
            {"device": "phone", "site": "Al", "listed_site": "back"},
            "an unknown region of a patient with unknown age and sex, using an unknown device",
        ),
    ],
)
def test_the_sentence_of_a_cycle(known, expected):
    assert sentence(**known) == f"This sound was recorded from {expected}."


def test_the_site_is_the_listed_one_or_the_recordings_own():
    known = {"site": "Tc", "listed_site": "Pr"}
    assert "the right posterior chest" in sentence("published", **known)
    assert "the trachea" in sentence("filename", **known)


def test_every_sentence_is_there_once_and_nothing_known_comes_first():
    assert len(PROMPTS) == len(set(PROMPTS)) == 8 * 3 * 3 * 5
    assert PROMPTS[UNKNOWN].count("unknown") == 3
    assert prompt_index(cycle(), "filename") == prompt_index(cycle(), "published") == UNKNOWN
    assert tuple(WORDED) == DEVICES


def test_what_a_sentence_calls_unknown():
    words = {"site": "region", "age": "age", "sex": "sex", "device": "device"}
    for number, text in enumerate(PROMPTS):
        unknown = set(text.replace("unknown age and sex", "unknown age unknown sex").split("unknown ")[1:])
        assert {words[part] for part in unknown_parts(number)} == {re.match(r"\w+", rest)[0] for rest in unknown}


def test_the_order_is_that_of_every_saved_model():
    assert PROMPTS[1] == PROMPTS[UNKNOWN].replace("an unknown device", "an AKGC417L microphone")
    assert PROMPTS[45] == PROMPTS[UNKNOWN].replace("an unknown region", "the trachea")
    assert prompt_number(site="Lr", age="pediatric", sex="female", device="Meditron") == len(PROMPTS) - 1


def test_what_icbhi_lists_of_its_patients(shared):
    notices: list[str] = []
    people = find_people((shared / "data" / "icbhi_subset",), notices)
    assert notices == []
    assert len(people) == 126
    assert people["101"] == Person(3.0, "F", "Pr")
    assert people["102"].age == 0.75
    assert people["223"].age is None
    assert people["223"].sex == ""
    assert sum((person.age or 0) >= 19 for person in people.values()) == 76
    assert {person.site for person in people.values()} <= {*SITES, ""}
    names = [Name.parse(line.split()[0]) for line in (PUBLISHED / "official_split.txt").read_text().splitlines()]
    assert len(names) == 920
    assert sum(people[name.patient].site == name.site for name in names) == 222


@pytest.mark.parametrize("name", FILES)
def test_the_official_file_has_no_site(tmp_path, name):
    (tmp_path / name).write_text("101 3 F NA 19 99\n\n223 NA NA NA NA NA\n")
    assert find_people((tmp_path / "none", tmp_path), []) == {"101": Person(3.0, "F"), "223": Person()}


@pytest.mark.parametrize(
    ("content", "notice"),
    [
        (
            b"101\t3\tF\tNA\t19\t99\tPr\n102\t1\n103\tnan\tM\tNA\t1\t1\n",
            r"2 line\(s\) of metadata.txt .*first line 2; age",
        ),
        (b"101\t3\tX\tNA\t19\t99\n101\t-3\tM\tNA\t19\t99", "2 line"),
        (b"\xff\xfe1\x00", r"metadata.txt cannot be read \(it is not UTF-8\)"),
    ],
)
def test_what_cannot_be_read_is_a_notice(tmp_path, content, notice):
    (tmp_path / "metadata.txt").write_bytes(content)
    notices: list[str] = []
    people = find_people((tmp_path,), notices)
    assert len(notices) == 1
    assert re.search(notice, notices[0])
    assert set(people) <= {"101"}


def test_a_batch_carries_the_numbers_where_they_are_asked_for(corpus, tmp_path):
    (corpus / "metadata.txt").write_text("101\t3\tF\tNA\t19\t99\tPr\n")
    frontend = Frontend(seconds=1.0, frames=16)
    dataset = CycleDataset(ICBHI(corpus).cycles(), FeatureCache(tmp_path / "cache", frontend), frontend)
    items = [dataset[index] for index in (0, 2, 4)]
    prompted = Prompted(dataset, partial(prompt_index, location="published"))
    batch = prompted(items)
    known = prompt_number(site="Pr", age="pediatric", sex="female", device="Meditron")
    assert batch.text_ids.tolist() == [known, prompt_number(device="AKGC417L"), prompt_number(device="LittC2SE")]
    assert batch.side == {"text_ids": batch.text_ids}
    assert torch.equal(batch.features, dataset.collate(items).features)
    assert pickle.loads(pickle.dumps(prompted)).numbers == prompted.numbers  # workers get a copy
    assert dataset.collate(items).side is None
