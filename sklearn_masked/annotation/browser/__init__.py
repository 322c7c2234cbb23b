"""Label texts on a page in the browser, several people at once if they like."""

from ._server import label_in_browser

__all__ = ["label_in_browser"]
