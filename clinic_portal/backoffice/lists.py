"""What every list of the back office shares: nothing can be changed in it, and no question it asks is unbounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_admin import BaseView
from flask_admin.contrib.sqla import ModelView
from flask_admin.model.base import ViewArgs
from flask_admin.model.template import macro
from flask_wtf import FlaskForm
from sqlalchemy import ColumnElement, and_, true
from sqlalchemy.orm import Query

from clinic_portal.backoffice import places, words
from clinic_portal.backoffice.access import Guarded
from clinic_portal.backoffice.filters import Narrowing
from clinic_portal.database import db

# Counting stops here, and so do pages: beyond it nobody reads on, they narrow the list.
COUNTED = 1000
LONGEST_SEARCH = 80


@dataclass(frozen=True)
class Column:
    """One column: its heading, and what it shows of a row.

    `show` is a function of the row and of the facts known about all rows, or the name of a macro in list.html, or
    nothing for the plain value.
    """

    name: str
    label: str
    show: Callable[[Any, Mapping[str, Any]], str] | str | None = None
    sorts: bool = False

    def formatter(self) -> Any:
        """The same in the library's form."""
        show = self.show
        if isinstance(show, str):
            return macro(show)
        return lambda _view, context, row, _name: show(row, context) if show else ""


class Page(Guarded, BaseView):  # type: ignore[misc]  # the library is untyped
    """A page of the back office that is not a list of one table."""

    def _run_view(self, view: Any, *args: Any, **kwargs: Any) -> Any:
        # The library calls a view again in another way when it raises TypeError, which hides the error.
        return view(self, *args, **kwargs)


class ReadOnlyList(Guarded, ModelView):  # type: ignore[misc]  # the library is untyped
    """A table one can search, narrow, sort and page through, and nothing else."""

    can_create = can_edit = can_delete = can_export = False
    form_base_class = FlaskForm
    list_template = "backoffice/list.html"
    page_size = 50
    named_filter_urls = True
    # The methods that get an address; the library would add those for changing and deleting.
    served: tuple[str, ...] = ("index_view",)
    words = words
    columns: tuple[Column, ...] = ()
    # Names of columns of the table, each with whether it runs downwards; the last one tells equals apart.
    order: tuple[tuple[str, bool], ...] = (("id", False),)
    noun = "record"
    search_label = ""
    search_hint = ""
    empty_message = "Nothing to show."
    # How to read related rows together with the list's own: one query each at most, whatever the length.
    loads: tuple[Any, ...] = ()

    def __init__(self, model: type[Any], name: str, endpoint: str, category: str) -> None:
        self.column_list = [column.name for column in self.columns]
        self.column_labels = {column.name: column.label for column in self.columns}
        self.column_sortable_list = [column.name for column in self.columns if column.sorts]
        self.column_formatters = {column.name: column.formatter() for column in self.columns if column.show}
        self.column_default_sort = list(self.order)
        super().__init__(model, db, name=name, endpoint=f"backoffice_{endpoint}", url=endpoint, category=category)

    def create_blueprint(self, admin: Any) -> Any:
        self._urls: list[Any] = [rule for rule in self._urls if rule[1] in self.served]
        return super().create_blueprint(admin)

    def _run_view(self, view: Any, *args: Any, **kwargs: Any) -> Any:
        return view(self, *args, **kwargs)

    @property
    def nouns(self) -> str:
        return f"{self.noun}s"

    def scaffold_form(self) -> type[FlaskForm]:
        form_class: type[FlaskForm] = self.form_base_class
        return form_class

    def init_search(self) -> bool:
        return bool(self.search_label)

    def get_filter_arg(self, _index: int, flt: Narrowing) -> str:
        return flt.key

    # Which rows

    def matching(self, _search: str) -> ColumnElement[bool]:
        """The condition that typed words make; none in a list without a search box."""
        return true()

    def defaults(self) -> dict[str, str]:
        """What the fields say before anybody has used them."""
        return {}

    def conditions(self, search: str | None, chosen: dict[str, Any]) -> list[ColumnElement[bool]]:
        """What the search box and the fields ask of a row."""
        found = [flt.condition(chosen[flt.key]) for flt in self._fields() if flt.key in chosen]
        return [*found, self.matching(search)] if search else found

    def get_list(
        self,
        page: int | None,
        sort_column: Any,
        sort_desc: bool,
        search: str | None,
        filters: Sequence[Any] | None,
        page_size: int | None = None,
    ) -> tuple[int, list[Any]]:
        size = page_size or self.page_size
        chosen = {self._filters[index].key: self._filters[index].clean(value) for index, _, value in filters or ()}
        query = self.get_query().filter(and_(True, *self.conditions(search, chosen)))
        count = query.with_entities(self.model.id).limit(COUNTED + 1).count()
        sorted_query, _ = self._apply_sorting(query, {}, sort_column, sort_desc)
        rows = sorted_query.options(*self.loads).limit(size).offset((page or 0) * size).all()
        self._template_args.update(is_cut=count > COUNTED, today=places.today(), **self.known_about(rows))
        return min(count, COUNTED), rows

    def get_query(self) -> Query[Any]:
        query: Query[Any] = db.session.query(self.model)
        return query

    def known_about(self, _rows: list[Any]) -> dict[str, Any]:
        """Facts beside the rows that their cells need, read for all of them at once."""
        return {}

    # The address of a list: its fields by their plain names, and nothing that it does not know

    def _get_list_extra_args(self) -> ViewArgs:
        args = request.args
        pages = max(1, COUNTED // self.page_size)
        chosen = self._chosen_values()
        self._template_args["fields"] = [self._field(flt, chosen) for flt in self._fields()]
        self._template_args["is_narrowed"] = any(name in args for name in ("search", *self._keys()))
        return ViewArgs(
            page=min(max(args.get("page", 0, type=int), 0), pages - 1),
            sort=args.get("sort", None, type=int),
            sort_desc=args.get("desc", None, type=int),
            search=args.get("search", "").strip()[:LONGEST_SEARCH],
            filters=[(at, flt.name, chosen[flt.key]) for at, flt in enumerate(self._fields()) if flt.key in chosen],
        )

    def _chosen_values(self) -> dict[str, str]:
        """The fields that say something which makes sense; of the others the page tells that they were left out."""
        known = {flt.key: flt for flt in self._fields()}
        is_first_look = not any(name in request.args for name in (*known, "search"))
        given = self.defaults() if is_first_look else {key: request.args.get(key, "").strip() for key in known}
        filled = {key: value for key, value in given.items() if value}
        wrong = [key for key, value in filled.items() if not known[key].validate(value)]
        self._template_args["problems"] = [
            {"field": key, "text": f"{known[key].name} {known[key].complaint}; the list leaves it out."}
            for key in wrong
        ]
        return {key: value for key, value in filled.items() if key not in wrong}

    def _field(self, flt: Narrowing, chosen: dict[str, str]) -> dict[str, Any]:
        return {
            "key": flt.key,
            "label": flt.name,
            "kind": flt.kind,
            "options": flt.choices(),
            "value": chosen.get(flt.key, ""),
        }

    def _get_list_url(self, view_args: ViewArgs) -> str:
        given = {key: request.args[key] for key in ("search", *self._keys()) if key in request.args}
        if view_args.search is None and view_args.filters is None:
            given = {}
        return str(
            self.get_url(
                ".index_view",
                page=view_args.page or None,
                sort=view_args.sort,
                desc=1 if view_args.sort_desc else None,
                **given,
            )
        )

    def _fields(self) -> list[Narrowing]:
        return self._filters or []

    def _keys(self) -> list[str]:
        return [flt.key for flt in self._fields()]
