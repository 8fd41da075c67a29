"""`regista config`."""

ENTRY = {"Kind": "service-defaults", "Name": "web", "Protocol": "http"}


def test_writing_from_files_and_standard_input(regista, agent, tmp_path):
    """An entry in HCL or JSON is sent as it is; a condition that fails is an error."""
    agent.say("/v1/config", True, True, False, method="PUT")
    (tmp_path / "web.hcl").write_text('Kind = "service-defaults"\nName = "web"\nProtocol = "http"\n')
    told = "Config entry written: service-defaults/web\n"
    assert regista("config", "write", str(tmp_path / "web.hcl")).stdout == told
    assert regista("config", "write", "-", stdin='{"kind": "service-defaults", "name": "web"}').stdout == told
    result = regista("config", "write", "--cas", "--modify-index", "3", str(tmp_path / "web.hcl"))
    assert (result.exit_code, result.stderr) == (1, "Config entry not updated: service-defaults/web\n")
    assert agent.asked[0].body == ENTRY
    assert agent.asked[2].target == "/v1/config?cas=3"
    assert "can't be read" in regista("config", "write", "/no/such.hcl").stderr


def test_reading_listing_deleting(regista, agent):
    """An entry is shown as JSON, a kind as names; what is not there is an error."""
    agent.say("/v1/config/service-defaults/web", ENTRY)
    agent.say("/v1/config/service-defaults", [ENTRY, {**ENTRY, "Name": "db"}])
    agent.say("/v1/config/service-defaults/web", True, method="DELETE")
    assert regista("config", "read", "service-defaults", "web").stdout.startswith('{\n    "Kind"')
    assert regista("config", "list", "service-defaults").stdout == "web\ndb\n"
    deleted = regista("config", "delete", "service-defaults", "web")
    assert deleted.stdout == "Config entry deleted: service-defaults/web\n"
    assert regista("config", "read", "service-defaults", "none").exit_code == 1
