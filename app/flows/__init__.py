"""What sensors on the wire say of connections: records of Zeek and Suricata, joined with what osquery saw."""
