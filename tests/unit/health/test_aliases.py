"""Alias checks: the health of something else, taken over."""

import pytest
from tests.unit.health.world import NODE, World

from regista.catalog import deregister_check, deregister_service, set_check_status
from regista.health.decide import decide_alias
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, node_item_key

ALIAS = node_item_key(NODE, "alias")
DB_CHECK = node_item_key(NODE, "db-check")


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([], (PASSING, "No checks found.")),
        ([("a", PASSING, "fine")], (PASSING, "All checks passing.")),
        ([("a", PASSING, ""), ("b", WARNING, "slow")], (WARNING, 'Aliased check "b" failing: slow')),
        ([("a", WARNING, "slow"), ("b", CRITICAL, "gone")], (CRITICAL, 'Aliased check "b" failing: gone')),
        ([("a", CRITICAL, "gone"), ("b", WARNING, "slow")], (CRITICAL, 'Aliased check "a" failing: gone')),
        ([("a", CRITICAL, "1"), ("b", CRITICAL, "2")], (CRITICAL, 'Aliased check "a" failing: 1')),
    ],
)
def test_the_worst_check_decides(checks, verdict):
    """An alias has the worst status among its target's checks, and names the first check in it."""
    assert decide_alias(checks) == verdict


async def world_with_alias(**target):
    world = World().begin()
    world.service(service_id="db")
    world.check(CheckDefinition(ttl_s=3600), check_id="db-check", service_id="db", status=PASSING)
    world.service(service_id="web")
    world.check(CheckDefinition(**target), check_id="alias", service_id="web")
    await world.advance(1)
    return world


async def test_alias_follows_an_instance():
    """An alias of an instance changes as the instance's checks do, also when the instance goes and comes back."""
    world = await world_with_alias(alias_service="db")
    assert (world.status(ALIAS), world.output(ALIAS)) == (PASSING, "All checks passing.")
    world.writer.apply(set_check_status(world.catalog, DB_CHECK, CRITICAL, "no disk"))
    await world.advance(1)
    assert (world.status(ALIAS), world.output(ALIAS)) == (CRITICAL, 'Aliased check "db-check" failing: no disk')
    world.writer.apply(deregister_service(world.catalog, NODE, "db", reason="", now_s=0.0))
    await world.advance(1)
    assert world.output(ALIAS) == f"Service db could not be found on node {NODE}"
    world.service(service_id="db")
    await world.advance(1)
    assert (world.status(ALIAS), world.output(ALIAS)) == (PASSING, "No checks found.")


async def test_alias_quotes_what_its_target_says_now():
    """Output that changes while the status does not is quoted too: at first a critical check has nothing to say."""
    world = await world_with_alias(alias_service="db")
    world.check(CheckDefinition(alias_node=NODE), check_id="of-node", service_id="web")
    world.check(CheckDefinition(ttl_s=3600), check_id="disk")
    await world.report("db-check", CRITICAL, "")
    await world.report("disk", CRITICAL, "")
    await world.advance(1)
    assert world.output(ALIAS) == 'Aliased check "disk" failing: '
    await world.advance(3)
    index = world.catalog.index
    await world.report("disk", CRITICAL, "full")
    await world.advance(1)
    assert (
        world.output(ALIAS) == world.output(node_item_key(NODE, "of-node")) == 'Aliased check "disk" failing: full'
    )
    assert world.catalog.index == index, "nothing of it is written"
    await world.report("disk", PASSING, "")
    await world.report("db-check", CRITICAL, "no memory")
    await world.advance(1)
    assert world.output(ALIAS) == 'Aliased check "db-check" failing: no memory'
    await world.advance(3)
    await world.report("db-check", CRITICAL, "no disk")
    await world.advance(1)
    assert world.output(ALIAS) == 'Aliased check "db-check" failing: no disk'


async def test_aliases_of_each_other_come_to_rest():
    """Each quotes the other once, not for ever more."""
    world = World().begin()
    for service_id, other in (("a", "b"), ("b", "a")):
        world.service(service_id=service_id)
        world.check(CheckDefinition(alias_service=other), check_id=f"alias-{service_id}", service_id=service_id)
    world.check(CheckDefinition(ttl_s=3600), check_id="t", service_id="a", status=PASSING)
    await world.report("t", CRITICAL, "one")
    await world.advance(3)
    await world.report("t", CRITICAL, "two")
    await world.advance(1)
    outputs = [world.output(node_item_key(NODE, f"alias-{each}")) for each in "ab"]
    await world.advance(10)
    assert [world.output(node_item_key(NODE, f"alias-{each}")) for each in "ab"] == outputs


async def test_alias_of_a_node_does_not_look_at_itself():
    """An alias of its own node heals when the node's other checks do."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=3600), check_id="disk", status=CRITICAL)
    world.check(CheckDefinition(alias_node=NODE), check_id="alias")
    await world.advance(1)
    assert world.output(ALIAS) == 'Aliased check "disk" failing: '
    world.writer.apply(deregister_check(world.catalog, NODE, "disk"))
    await world.advance(1)
    assert (world.status(ALIAS), world.output(ALIAS)) == (PASSING, "No checks found.")


async def test_unrelated_changes_cost_no_write():
    """Changes elsewhere on the node judge the alias anew, but write nothing."""
    world = await world_with_alias(alias_service="db")
    world.service(service_id="other")
    writes = world.writer.writes
    await world.advance(5)
    assert world.writer.writes == writes


async def test_alias_that_is_gone_is_left_alone():
    """A deregistered alias is not written again by what happens to its target."""
    world = await world_with_alias(alias_service="db")
    world.writer.apply(deregister_check(world.catalog, NODE, "alias"))
    world.writer.apply(set_check_status(world.catalog, DB_CHECK, CRITICAL, "no disk"))
    await world.advance(1)
    assert ALIAS not in world.catalog.checks
