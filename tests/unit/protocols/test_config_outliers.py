"""`OutlierDetection` of a service's defaults."""

import pytest

from regista.balance import PARAMETERS, OutlierParameters, with_parameters
from regista.model import BadInput, Entry
from regista.protocols.consul.decode_config import read_config_entry, show_config_entry


def shown(**parameters):
    entry = read_config_entry({"Kind": "service-defaults", "Name": "web", "OutlierDetection": parameters})
    return show_config_entry(Entry(entry, 7, 9)).get("OutlierDetection")


def test_each_parameter_is_kept_also_as_nothing():
    """In any spelling of its name; 0 and false are not the same as leaving it out."""
    assert shown(MaxEjectionPercent=0, always_eject_one_host=False, Interval="10s", consecutive5xx="3") == {
        "Consecutive5xx": 3,
        "Interval": "10s",
        "MaxEjectionPercent": 0,
        "AlwaysEjectOneHost": False,
    }
    assert shown() == {}
    assert shown(MaxEjectionTimeJitter="0s", LatencyMinimum=0) == {
        "MaxEjectionTimeJitter": "0s",
        "LatencyMinimum": "0s",
    }


def test_names_are_envoys_as_consul_spells_names():
    """A parameter that both Consul and Envoy have is called alike."""
    assert {
        "Interval",
        "BaseEjectionTime",
        "MaxEjectionPercent",
        "EnforcingConsecutive5xx",
        "EnforcingLocalOriginSuccessRate",
        "SplitExternalLocalOriginErrors",
        "SuccessfulActiveHealthCheckUnejectHost",
        "MaxEjectionTimeJitter",
    } <= PARAMETERS.keys()


def test_what_is_kept_comes_to_the_parameters():
    """Over the agent's own; and what a later version may have written is passed over."""
    defaults = OutlierParameters(consecutive_5xx=7, base_ejection_time_s=5.0)
    kept = {**shown(MaxEjectionPercent=50, BaseEjectionTime="1m30s", AlwaysEjectOneHost=True), "FromLater": {}}
    found = with_parameters(defaults, kept)
    assert found == OutlierParameters(
        consecutive_5xx=7, base_ejection_time_s=90.0, max_ejection_percent=50, always_eject_one_host=True
    )


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"MaxEjectionPercent": 101}, "OutlierDetection.MaxEjectionPercent must be from 0 to 100, not 101"),
        ({"EnforcingLatency": -1}, "OutlierDetection.EnforcingLatency must be from 0 to 100, not -1"),
        ({"Interval": "0s"}, "OutlierDetection.Interval must be from 100ms to 1h0m0s, not 0s"),
        (
            {"BaseEjectionTime": "48h"},
            "OutlierDetection.BaseEjectionTime must be from 100ms to 24h0m0s, not 48h0m0s",
        ),
        ({"Consecutive5xx": 0}, "OutlierDetection.Consecutive5xx must be from 1 to 1000000, not 0"),
        ({"Interval": "soon"}, "Interval"),
        ({"AlwaysEjectOneHost": "perhaps"}, "'OutlierDetection.AlwaysEjectOneHost' expected type 'bool'"),
        ({"Consecutive6xx": 1}, 'invalid config key "OutlierDetection.Consecutive6xx"; did you mean'),
    ],
)
def test_what_is_out_of_bounds_is_refused(parameters, problem):
    """The field is named, and what it may be."""
    with pytest.raises(BadInput) as caught:
        shown(**parameters)
    assert problem in str(caught.value)
