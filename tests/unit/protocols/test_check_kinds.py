"""Checks that run programs, as callers write them."""

import pytest

from regista.health import KindRule
from regista.model import BadInput, Forbidden
from regista.protocols.consul import read_check, read_service, refuse_kind, refuse_kinds


def check(**fields):
    return read_check({"Name": "c", "Interval": "1s", **fields}, node="n1", manager="agent")


@pytest.mark.parametrize("field", ["Args", "ScriptArgs", "args", "script_args"])
def test_a_script_is_a_list_of_arguments(field):
    """Under any of its names, with empty arguments, lines and quotes kept as they are."""
    found = check(**{field: ["sh", "-c", "echo 'a'\nexit 1", ""]})
    assert (found.type, found.definition.script_args) == ("script", ("sh", "-c", "echo 'a'\nexit 1", ""))


def test_a_script_in_a_container_is_a_docker_check():
    """The container, the arguments and the shell are kept."""
    found = check(DockerContainerID="c1", Args=["check"], Shell="/bin/sh")
    definition = found.definition
    assert (found.type, definition.docker_container_id, definition.script_args, definition.shell) == (
        "docker", "c1", ("check",), "/bin/sh",
    )  # fmt: skip


def test_an_os_service_is_a_name():
    """It needs an interval and nothing else."""
    found = check(OSService="nginx")
    assert (found.type, found.definition.os_service) == ("os_service", "nginx")


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"Args": ["a", "b\0c"]}, "Args[1]", "NUL"),
        ({"ScriptArgs": [""]}, "ScriptArgs", "name of a program"),
        ({"ScriptArgs": [" ", "x"]}, "ScriptArgs", "name of a program"),
        ({"Args": ["x"] * 257}, "Args", "at most 256"),
        ({"Args": ["x" * 70_000, "y" * 70_000]}, "Args", "too long together"),
        ({"Args": ["true", 1]}, "Args[1]", "string"),
        ({"Args": "true"}, "Args", "[]string"),
        ({"DockerContainerID": "c1"}, "ScriptArgs", "program to run in the container"),
        ({"DockerContainerID": "c1", "Args": []}, "ScriptArgs", "program to run in the container"),
        ({"Args": ["true"], "Interval": "0s"}, "Interval", "Interval must be > 0"),
        ({"OSService": "nginx", "Interval": ""}, "Interval", "Interval must be > 0"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(fields, field, text):
    """A mistake names its field and says what is wrong."""
    with pytest.raises(BadInput, match=text.replace("[", r"\[")) as caught:
        check(**fields)
    assert caught.value.field == field


def test_scripts_that_are_not_allowed_are_refused_wherever_they_stand():
    """In a check alone, in an instance's checks, and in those of its sidecar."""
    script = {"Args": ["true"], "Interval": "1s"}
    with pytest.raises(Forbidden, match="Scripts are disabled"):
        refuse_kind(check(**script), KindRule())
    sidecar = {"SidecarService": {"Checks": [script]}}
    for fields in ({"Check": script}, {"Checks": [{"TTL": "1s"}, script]}, {"Port": 1, "Connect": sidecar}):
        registration = read_service({"Name": "web", **fields}, node="n1", manager="agent")
        refuse_kinds(registration, KindRule(scripts=True))
        with pytest.raises(Forbidden, match="Scripts are disabled"):
            refuse_kinds(registration, KindRule())
