"""Rows of an export as pages, and what an export of them leaves behind."""

import json
from decimal import Decimal
from itertools import pairwise

import msgspec

from intacct_provider.client.paging.pages import Page
from intacct_provider.client.paging.row_formats import StructRows
from intacct_provider.export.completeness.tally import Counter
from intacct_provider.export.files.options import FileOptions
from intacct_provider.export.files.parts import Parts
from intacct_provider.export.files.publication import publish_parts, remove_replaced
from intacct_provider.export.files.staging import Attempt
from intacct_provider.export.schema.columns import Column
from intacct_provider.storage.claims import Claim, Holder
from intacct_provider.storage.conditions import read_version

COLUMNS = (
    Column("key", "key", "string"),
    Column("id", "id", "string"),
    Column("name", "name", "string"),
    Column("totalDue", "totalDue", "decimal", 2),
    Column("active", "active", "boolean"),
    Column("lines", "lines", "integer"),
    Column("startDate", "startDate", "date"),
    Column("modified", "audit.modifiedDateTime", "timestamp"),
)


def row(number):
    """Return a row with something special in every few."""
    return {
        "key": str(number),
        "id": f"C-{number:05}",
        "name": [f"Customer {number}", f'"Zoë" & Co, Ltd. {number}', "two\r\nlines", "", None][number % 5],
        "totalDue": f"{number}.50" if number % 7 else None,
        "active": number % 2 == 0 if number % 3 else None,
        "lines": number * 1000 if number % 4 else None,
        "startDate": f"2026-0{1 + number % 9}-{1 + number % 28:02}" if number % 6 else None,
        "audit.modifiedDateTime": f"2026-11-{1 + number % 28:02}T10:{number % 60:02}:00Z",
    }


def page_of(rows, columns=COLUMNS):
    """Return one page, decoded from JSON like those of the query service."""
    form = StructRows([column.field for column in columns])
    structs = msgspec.json.Decoder(list[form.type], float_hook=Decimal).decode(json.dumps(rows))
    return Page(structs, keys=[each["key"] for each in rows])


def pages_of(rows, cuts=(), columns=COLUMNS):
    """Return rows as pages that begin at the positions of ``cuts``."""
    page = page_of(rows, columns)
    ends = [0, *sorted({cut for cut in cuts if 0 < cut < len(rows)}), len(rows)]
    return [page.part(*pair) for pair in pairwise(ends)]


def parts_of(target, columns=COLUMNS, owner="dag/run/task", attempt=1, label="", claim=None, **options):
    """Return what writes to a target."""
    whole = any(column.nested for column in columns)
    sums = [column.field for column in columns if column.field == "totalDue" and not whole]
    counter = Counter([column.field for column in columns], sums)
    options = FileOptions(**options)
    options.check()
    return Parts(target, columns, options, Attempt(owner, attempt, claim=claim), count=counter, label=label)


def manifest_of(target):
    """Return where the manifest of a target is."""
    return target.with_name(target.name + ".manifest.json")


def export(target, pages, columns=COLUMNS, **options):
    """Export pages from end to end, the manifest included, and return the parts."""
    with parts_of(target, columns, **options) as parts:
        left = parts.begin()
        for page in pages:
            parts.write(after(page, left.last_key) if left else page)
        made = parts.finish()
        conclude(target, parts, made)
    return made


def conclude(target, parts, made):
    """Publish parts, and write their manifest."""
    with claim_of(target) as claim:
        publish_parts(claim, made, read_version(manifest_of(target)))
        content = msgspec.json.encode({"parts": [part.summarize() for part in made]})
        target.fs.pipe_file(manifest_of(target).path, content)
        remove_replaced(claim)
    parts.forget()


def claim_of(target):
    """Return the claim of the task that exports to a target."""
    return Claim(target, Holder("dag", "run", "task"))


def publish_only(target, made):
    """Give parts their names, and die before the manifest."""
    with claim_of(target) as claim:
        publish_parts(claim, made, read_version(manifest_of(target)))


def after(page, key):
    """Return those rows of a page that come after a key."""
    start = next((n for n, each in enumerate(page.keys) if int(each) > int(key)), len(page))
    return page.part(start)


def files(target):
    """Return the content of every file beside a target, and of itself, hidden ones included, by name."""
    folder = target.parent
    target.fs.invalidate_cache()
    names = [path.rpartition("/")[2] for path in target.fs.find(folder.path)]
    return {name: target.fs.cat_file(folder.joinpath(name).path) for name in sorted(names)}


def visible(target):
    """Return the files that are not hidden, but for the manifest."""
    return {
        name: content
        for name, content in files(target).items()
        if not name.startswith(".") and not name.endswith(".manifest.json")
    }
