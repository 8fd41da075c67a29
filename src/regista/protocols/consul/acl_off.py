"""/v1/acl/… and /v1/agent/token/… while there is no access control: who asks is told so.

Source: Consul 1.9 (recorded answers): 401 with these words, which clients take for "ACLs are off".
"""

from __future__ import annotations

from regista.protocols.http import Request, Response, Route, text_response

_PATHS: tuple[tuple[str, str, str, str], ...] = (
    ("PUT", "/v1/acl/bootstrap", "", "Makes the first token"),
    ("GET", "/v1/acl/replication", "", "How the replication of tokens goes"),
    ("POST", "/v1/acl/login", "", "Takes another system's word for a token"),
    ("POST", "/v1/acl/logout", "", "Ends a token that login gave"),
    ("GET", "/v1/acl/tokens", "", "The tokens"),
    ("PUT", "/v1/acl/token", "", "Makes a token"),
    ("GET", "/v1/acl/token/self", "", "The caller's own token"),
    ("GET,PUT,DELETE", "/v1/acl/token/", "accessor_id", "One token"),
    ("GET", "/v1/acl/policies", "", "The policies"),
    ("PUT", "/v1/acl/policy", "", "Makes a policy"),
    ("GET,PUT,DELETE", "/v1/acl/policy/", "policy_id", "One policy"),
    ("GET", "/v1/acl/policy/name/", "name", "One policy, by its name"),
    ("GET", "/v1/acl/roles", "", "The roles"),
    ("PUT", "/v1/acl/role", "", "Makes a role"),
    ("GET,PUT,DELETE", "/v1/acl/role/", "role_id", "One role"),
    ("GET", "/v1/acl/role/name/", "name", "One role, by its name"),
    ("GET", "/v1/acl/auth-methods", "", "The ways to log in"),
    ("PUT", "/v1/acl/auth-method", "", "Makes a way to log in"),
    ("GET,PUT,DELETE", "/v1/acl/auth-method/", "name", "One way to log in"),
    ("GET", "/v1/acl/binding-rules", "", "The rules of who gets what by logging in"),
    ("PUT", "/v1/acl/binding-rule", "", "Makes such a rule"),
    ("GET,PUT,DELETE", "/v1/acl/binding-rule/", "rule_id", "One such rule"),
    ("PUT", "/v1/agent/token/", "token", "Gives the agent a token to use"),
)
"""Methods, pattern, argument, summary."""


class AclOff:
    """The handler of them all; it needs nothing."""

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return tuple(
            Route(method, pattern, self.refuse, summary, argument=argument)
            for methods, pattern, argument, summary in _PATHS
            for method in methods.split(",")
        )

    def refuse(self, _request: Request) -> Response:
        """Any of them: 401, as Consul does where ACLs are not enabled."""
        return text_response(401, "ACL support disabled")
