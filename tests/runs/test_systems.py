"""How large the systems are, and what is said of their weights."""

import pytest
from typer.testing import CliRunner

from lung_srad.cli import app
from lung_srad.config import load_preset, preset_names
from lung_srad.models import CATALOGUE
from lung_srad.runs import network_size, printed_score

PARAMETERS = {  # with a head for four classes
    "dass_medium": 48_246_052,
    "ast": 85_989_124,
    "ast_adapter": 88_420_612,
    "beats": 90_314_868,
    "clap": 153_496_988,
    "clap_audio": 28_192_924,
}


@pytest.mark.parametrize("name", ["lung_srad", "ast_finetuning", "beats_finetuning", "bts", "clap_audio"])
def test_sizes_are_those_of_the_literature(name):
    size = network_size(load_preset(name))
    assert (size.parameters, size.share) == (PARAMETERS[load_preset(name).backbone.name], "all")


def test_an_adapter_trains_the_published_share():
    size = network_size(load_preset("lung_adapter"))
    assert (size.parameters, size.trained) == (PARAMETERS["ast_adapter"], 2_436_100)
    assert size.share == "2,436,100, 2.83 % of what is frozen"


def test_a_network_for_two_classes_has_a_smaller_head():
    assert network_size(load_preset("pafa")).parameters - network_size(load_preset("pafa_2class")).parameters == 2 * 769


def test_the_printed_score_is_that_of_four_classes_where_there_is_one():
    assert printed_score("lung_srad") == "64.48"
    assert printed_score("pafa_2class") == "72.08 (two classes)"
    assert printed_score("bts_ensemble") == "65.69"


def test_the_long_list_has_every_system_and_says_where_its_weights_are():
    listed = CliRunner().invoke(app, ["presets", "--long"])
    assert listed.exit_code == 0, listed.output
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in listed.stdout.splitlines() if "|" in line]
    assert [row[0] for row in rows[2:]] == [*preset_names(), "bts_ensemble"]
    assert {row[2]: int(row[3].replace(",", "")) for row in rows[2:-1] if row[0] != "pafa_2class"} == PARAMETERS
    for official in CATALOGUE.values():
        assert str(official) in listed.stdout
    assert "--weights FOLDER" in listed.stdout
    small = CliRunner().invoke(app, ["presets", "--long", "--profile=small"]).stdout
    assert "dass_tiny" in small
    assert "--weights FOLDER" not in small
