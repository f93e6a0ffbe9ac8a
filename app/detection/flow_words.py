"""Sentences about flows that an analyst can look up at the sensor."""

from app.detection.flow_facts import FlowFacts

_HOUR, _MINUTE = 3600, 60
_ALIKE_SECONDS = 2


def seen_by(flow: FlowFacts, saw: str) -> str:
    """`Zeek on dmz-1 saw no TLS … (flow CwSL…, joined by Community ID, clocks 19.0 h apart).`"""
    joined = f"joined by {flow.joined_by}, {_clocks(flow.skew_seconds)}"
    weak = "" if flow.is_firm else "; a weaker join, for no other bears it out"
    return f"{flow.tool.capitalize()} on {flow.sensor} saw {saw} (flow {flow.flow_id}, {joined}{weak})."


def _clocks(skew_seconds: float) -> str:
    apart = abs(skew_seconds)
    if apart >= _HOUR:
        return f"clocks {apart / _HOUR:.1f} h apart"
    if apart >= 2 * _MINUTE:
        return f"clocks {apart / _MINUTE:.0f} min apart"
    return f"times {apart:.0f} s apart" if apart >= _ALIKE_SECONDS else "clocks agree"
