"""notification-service: what a user has to be told; asks a healthy user-service and a healthy post-service.

GET /notifications/{user id}
"""

from __future__ import annotations

from collections.abc import Callable

from registration import NOT_FOUND, Registry, Reply, Request, serve


def make_answer(registry: Registry, service_id: str) -> Callable[[Request], Reply]:
    """The function that answers requests."""

    def answer(request: Request) -> Reply:
        match (request.method, request.parts):
            case ("GET", ["notifications", user_id]):
                user = registry.get("user-service", f"/users/{user_id}")
                posts = registry.get("post-service", "/posts")
                new = [post["title"] for post in posts if post["author"]["id"] != user_id]
                return Reply(
                    200,
                    {
                        "text": f"{user['name']}, there are {len(new)} posts for you: {'; '.join(new)}",
                        "answered_by": service_id,
                        "asked": sorted({user["answered_by"], *(post["answered_by"] for post in posts)}),
                    },
                )
            case _:
                return NOT_FOUND

    return answer


if __name__ == "__main__":
    serve("notification-service", make_answer)
