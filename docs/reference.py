"""Write the pages of the API reference from `__all__` of the public modules.

Nothing is listed by hand, so that no public name can lack a page.
"""

import functools
import importlib
import inspect
import pkgutil
import shutil
from pathlib import Path

import sklearn_masked


def public_modules():
    """Return the names of the public modules and packages, and the package itself."""
    found = pkgutil.iter_modules(sklearn_masked.__path__)
    names = sorted(part.name for part in found if not part.name.startswith("_"))
    return ["sklearn_masked", *(f"sklearn_masked.{name}" for name in names)]


def public_names(module):
    """Return the public names of a module, but for those that are modules."""
    loaded = importlib.import_module(module)
    names = [name for name in loaded.__all__ if not name.startswith("__")]
    return [name for name in names if not inspect.ismodule(getattr(loaded, name))]


@functools.cache
def homes():
    """Return {(module, name): full name under which the object has its page}.

    An object that several modules offer has its page in the public module that its
    own module lies in, where scikit-learn's HTML box looks for it.
    """
    offers = {}
    for module in public_modules():
        for name in public_names(module):
            thing = getattr(importlib.import_module(module), name)
            offers.setdefault((name, id(thing)), []).append((module, thing))
    found = {}
    for (name, _), places in offers.items():
        defined = getattr(places[0][1], "__module__", "")
        inside = [m for m, _ in places if f"{defined}.".startswith(f"{m}.")]
        home = max(inside or [m for m, _ in places], key=len)
        found.update({(module, name): f"{home}.{name}" for module, _ in places})
    return found


def own_members(cls):
    """Return the public methods and properties that the package itself defines."""
    names = []
    for name in dir(cls):
        owner = next((c for c in cls.__mro__ if name in vars(c)), None)
        is_ours = owner is not None and owner.__module__.startswith("sklearn_masked")
        member = inspect.getattr_static(cls, name)
        # Of the class, a method that is there only sometimes is a function, too.
        is_shown = callable(getattr(cls, name)) or isinstance(member, property)
        # What has no docstring here says no more than the method that it replaces.
        documented = inspect.getdoc(getattr(cls, name)) and vars(owner or cls).get(name)
        is_shown = is_shown and not name.endswith("_request")  # of every estimator
        if is_ours and is_shown and documented and not name.startswith("_"):
            names.append(name)
    return names


def page_of(full_name, thing):
    """Return the text of an object's page."""
    module, name = full_name.rsplit(".", 1)
    lines = [name, "=" * len(name), "", f".. currentmodule:: {module}", ""]
    if inspect.isclass(thing):
        lines += [f".. autoclass:: {name}", ""]
        for member in own_members(thing):
            static = inspect.getattr_static(thing, member)
            kind = "property" if isinstance(static, property) else "method"
            lines += [f"   .. auto{kind}:: {member}", ""]
    elif callable(thing):
        kind = "autodata" if not inspect.isroutine(thing) else "autofunction"
        lines += [f".. {kind}:: {name}", ""]
    else:
        lines += [f".. autodata:: {name}", ""]
    return "\n".join(lines)


def first_line(thing):
    """Return the first paragraph of a docstring, on one line."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split())


def page_of_module(module, names, full_names):
    """Return the text of a module's page: its names and what each one is."""
    lines = [module, "=" * len(module), ""]
    if module != "sklearn_masked":
        lines += [f".. module:: {module}", ""]
    loaded = importlib.import_module(module)
    lines += [inspect.getdoc(loaded) or "", ""]
    lines += [".. list-table::", "   :widths: 40 60", ""]
    own = []
    for name in sorted(names, key=str.lower):
        full_name = full_names[module, name]
        lines.append(f"   * - :py:obj:`~{full_name}`")
        lines.append(f"     - {first_line(getattr(loaded, name))}")
        if full_name.rsplit(".", 1)[0] == module:
            own.append(full_name)
    if own:
        lines += ["", ".. toctree::", "   :hidden:", ""]
        lines += [f"   {full_name}" for full_name in own]
    return "\n".join([*lines, ""])


def write(folder):
    """Write a page per public module and per public name into a folder."""
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    full_names = homes()
    modules = public_modules()
    for module in modules:
        text = page_of_module(module, public_names(module), full_names)
        (folder / f"{module}.rst").write_text(text, encoding="utf-8")
    for (module, name), full_name in full_names.items():
        thing = getattr(importlib.import_module(module), name)
        text = page_of(full_name, thing)
        (folder / f"{full_name}.rst").write_text(text, encoding="utf-8")
    index = ["API reference", "=============", ""]
    index += [
        "Every public name, by module.",
        "",
        ".. toctree::",
        "   :maxdepth: 1",
        "",
    ]
    index += [f"   {module}" for module in modules]
    (folder / "index.rst").write_text("\n".join([*index, ""]), encoding="utf-8")
