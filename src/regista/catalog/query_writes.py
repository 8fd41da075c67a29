"""Transactions that change prepared queries; see `writes.py` for what a plan is."""

from __future__ import annotations

from regista.catalog.drafts import Draft
from regista.catalog.query_templates import Template
from regista.catalog.replica import Catalog
from regista.model import BadInput, NotFound, PreparedQuery, QueryName, Transaction, query_name_key

_UUID_CHARACTERS = 36


def create_query(catalog: Catalog, query: PreparedQuery) -> Transaction:
    """The query as it is given; its id is fresh.

    Raises:
        BadInput: its name is taken, its template can't be used, or there is no such session; in Consul's words.
    """
    draft = Draft()
    _put(catalog, draft, query)
    return draft.transaction()


def replace_query(catalog: Catalog, query: PreparedQuery) -> Transaction:
    """The query of that id as it is given.

    Raises:
        NotFound: there is none; in Consul's words.
        BadInput: as in `create_query`.
    """
    if query.key not in catalog.queries.entries:
        raise _unknown(query.id)
    draft = Draft()
    _put(catalog, draft, query)
    return draft.transaction()


def delete_query(catalog: Catalog, query_id: str) -> Transaction:
    """The query gone, and its name free.

    Raises:
        NotFound: there is none; in Consul's words.
    """
    found = catalog.queries.entries.get(query_id)
    if found is None:
        raise _unknown(query_id)
    draft = Draft()
    draft.delete(found)
    _free_name(catalog, draft, found.record)
    return draft.transaction()


def _put(catalog: Catalog, draft: Draft, query: PreparedQuery) -> None:
    if query.template_type or query.template_regexp:
        # Rendered for its own name, so that a mistake is told to its author and not to those who ask later.
        Template(query).render(query.name)
    if query.session:
        _bind(catalog, draft, query.session)
    found = catalog.queries.entries.get(query.key)
    if query.name or query.template_type:
        _claim_name(catalog, draft, query)
    if found is not None and _has_name(found.record) and query_name_key(found.record.name) != _name_key(query):
        _free_name(catalog, draft, found.record)
    draft.put(found, query)


def _bind(catalog: Catalog, draft: Draft, session_id: str) -> None:
    """Makes sure that there is such a session, and that whoever ends it at the same time sees this query."""
    if len(session_id) != _UUID_CHARACTERS:
        raise BadInput("invalid session: index error: UUID must be 36 characters", field="Session")
    session = catalog.sessions.entries.get(session_id)
    if session is None:
        raise BadInput(f'invalid session "{session_id}"', field="Session")
    draft.renew(session)


def _claim_name(catalog: Catalog, draft: Draft, query: PreparedQuery) -> None:
    owner = catalog.query_names.get(query_name_key(query.name))
    if owner is not None and owner.record.query != query.id:
        if not query.name:
            raise BadInput("a query template with an empty name already exists", field="Name")
        raise BadInput(f"name '{query.name}' aliases an existing query name", field="Name")
    namesake = catalog.queries.entries.get(query.name.lower())
    if namesake is not None and namesake.record.id != query.id:
        raise BadInput(f"name '{query.name}' aliases an existing query ID", field="Name")
    draft.put(owner, QueryName(name=query.name.lower(), query=query.id))


def _free_name(catalog: Catalog, draft: Draft, query: PreparedQuery) -> None:
    owner = catalog.query_names.get(query_name_key(query.name))
    if owner is not None and owner.record.query == query.id:
        draft.delete(owner)


def _has_name(query: PreparedQuery) -> bool:
    return bool(query.name or query.template_type)


def _name_key(query: PreparedQuery) -> str:
    """The key of the name that the query claims; "" for none."""
    return query_name_key(query.name) if _has_name(query) else ""


def _unknown(query_id: str) -> NotFound:
    return NotFound(f"Cannot modify non-existent prepared query: '{query_id}'")
