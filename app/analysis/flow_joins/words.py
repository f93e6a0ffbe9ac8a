"""How far a behaviour's flows reach."""

#: A behaviour is judged with flows of its connections of that day and so many days before.
RECENT_DAYS = 3
#: Most flows that one judgement reads; a program may open thousands of connections to one port.
FLOWS_MAX = 32
