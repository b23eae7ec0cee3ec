"""HTML reports and figures; importing the modules needs the extra `report`."""

__all__: list[str] = []
