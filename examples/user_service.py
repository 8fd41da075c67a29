"""user-service: users, kept in memory.

GET /users · GET /users/{id} · POST /users with {"name": …}
"""

from __future__ import annotations

from collections.abc import Callable

from registration import NOT_FOUND, Registry, Reply, Request, serve


def make_answer(_registry: Registry, service_id: str) -> Callable[[Request], Reply]:
    """The function that answers requests; it asks nobody else."""
    users = {"1": "Reader", "2": "Writer", "3": "Editor"}

    def shown(user_id: str) -> dict[str, str]:
        return {"id": user_id, "name": users[user_id], "answered_by": service_id}

    def answer(request: Request) -> Reply:
        match (request.method, request.parts):
            case ("GET", ["users"]):
                return Reply(200, [shown(user_id) for user_id in list(users)])
            case ("GET", ["users", user_id]) if user_id in users:
                return Reply(200, shown(user_id))
            case ("POST", ["users"]):
                if not isinstance(request.body, dict) or not isinstance(request.body.get("name"), str):
                    return Reply(400, {"error": 'a user is {"name": "…"}'})
                user_id = str(len(users) + 1)
                users[user_id] = request.body["name"]
                return Reply(201, shown(user_id))
            case _:
                return NOT_FOUND

    return answer


if __name__ == "__main__":
    serve("user-service", make_answer)
