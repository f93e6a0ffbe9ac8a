"""How much of what nodes connect to sensors see."""

from collections.abc import Collection
from statistics import median

from pydantic import BaseModel

from app.analysis.flow_joins import store
from app.database import ReadSession


class SensorCoverage(BaseModel):
    sensor: str
    tool: str
    joined: int
    """Judged connections of the last days that were joined with a flow of this sensor."""
    share: float
    """Of the node's judged connections, 0 to 1."""
    skew_seconds: float | None
    """Sensor's clock minus the node's: the median of the newest joins. Null before the first that leaves no doubt."""


class FlowCoverage(BaseModel):
    connections: int
    """Outbound connections that were judged in the last 3 days: one for each program, port and day."""
    joined: int
    """Those that were joined with a flow of any sensor."""
    share: float | None
    """Null where there was no connection."""
    sensors: list[SensorCoverage]
    """Those that saw any; a sensor that is not here never saw this node."""


async def flow_coverage(session: ReadSession, nodes: Collection[int]) -> dict[int, FlowCoverage]:
    totals = await store.joined(session, nodes)
    by_sensor = await store.joined_by_sensor(session, nodes)
    known, skews = await store.sensors(session), await store.skews(session, nodes)
    found = {}
    for node in nodes:
        connections, joined = totals.get(node, (0, 0))
        sensors = [
            SensorCoverage(
                sensor=known[sensor_id].name,
                tool=known[sensor_id].tool,
                joined=total,
                share=round(total / connections, 3),
                skew_seconds=_median(skews.get(sensor_id, {}).get(str(node), [])),
            )
            for (each, sensor_id), total in sorted(by_sensor.items())
            if each == node and sensor_id in known
        ]
        share = round(joined / connections, 3) if connections else None
        found[node] = FlowCoverage(connections=connections, joined=joined, share=share, sensors=sensors)
    return found


def _median(skews: list[float]) -> float | None:
    return round(median(skews), 1) if skews else None
