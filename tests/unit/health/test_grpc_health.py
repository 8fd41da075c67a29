"""The messages of the gRPC health service, against protobuf's own reading and writing of them."""

import contextlib

import pytest
from grpc_health.v1 import health_pb2
from hypothesis import given
from hypothesis import strategies as st

from regista.health.probes.grpc_health import Malformed, decode_response, encode_request

RESPONSE = health_pb2.HealthCheckResponse


def framed(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_requests_are_protobufs(service):
    """A request is what protobuf writes, for any name, also one whose length takes two bytes."""
    assert encode_request(service) == framed(health_pb2.HealthCheckRequest(service=service).SerializeToString())


@pytest.mark.parametrize("status", RESPONSE.ServingStatus.values())
def test_responses_are_protobufs(status):
    """Each status that protobuf writes is read, by its name; the first of them is written as nothing at all."""
    written = RESPONSE(status=status).SerializeToString()
    assert decode_response(framed(written)) == RESPONSE.ServingStatus.Name(status)


def test_other_fields_are_passed_over():
    """A response of a later day, with fields of every wire type, still says its status; the last one counts."""
    later = b"\x12\x03abc" + b"\x1d1234" + b"\x2112345678" + b"\x30\xff\xff\x03"
    assert decode_response(framed(b"\x08\x01" + later + b"\x08\x02")) == "NOT_SERVING"
    assert decode_response(framed(b"\x08\x63")) == "99"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0\0\0",
        b"\1\0\0\0\2\x08\x01",
        b"\0\0\0\0\1\x08\x01",
        b"\0\0\0\0\3\x08\x01",
        framed(b"\x08"),
        framed(b"\x08\xff"),
        framed(b"\x08" + b"\xff" * 20),
        framed(b"\x12\x09abc"),
        framed(b"\x21123"),
        framed(b"\x0b"),
        framed(b"\x08\x01") + framed(b"\x08\x01"),
    ],
)
def test_what_is_no_response_is_malformed(answer):
    """Nothing, too little, too much, compressed, broken off in any field: none of it is a status."""
    with pytest.raises(Malformed):
        decode_response(answer)


@given(st.binary(max_size=60))
def test_bytes_are_a_status_or_malformed(message):
    """Whatever a server sends is a status or `Malformed`, and nothing else is raised."""
    for answer in (message, framed(message)):
        with contextlib.suppress(Malformed):
            assert decode_response(answer)
