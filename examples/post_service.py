"""post-service: posts, with the names of their authors, for which it asks a healthy user-service.

GET /posts · GET /posts/by/{user id}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registration import NOT_FOUND, NoInstance, Registry, Reply, Request, serve

POSTS = (
    {"id": "1", "author": "2", "title": "Where is everybody?"},
    {"id": "2", "author": "3", "title": "Ask the registry"},
    {"id": "3", "author": "2", "title": "And when one of them dies?"},
)


def make_answer(registry: Registry, service_id: str) -> Callable[[Request], Reply]:
    """The function that answers requests."""

    def shown(post: dict[str, str]) -> dict[str, Any]:
        try:
            author = registry.get("user-service", f"/users/{post['author']}")
        except NoInstance:
            # A post without its author's name is better than no post.
            author = {"id": post["author"], "name": None, "answered_by": None}
        return {**post, "author": author, "answered_by": service_id}

    def answer(request: Request) -> Reply:
        match (request.method, request.parts):
            case ("GET", ["posts"]):
                return Reply(200, [shown(post) for post in POSTS])
            case ("GET", ["posts", "by", user_id]):
                return Reply(200, [shown(post) for post in POSTS if post["author"] == user_id])
            case _:
                return NOT_FOUND

    return answer


if __name__ == "__main__":
    serve("post-service", make_answer)
