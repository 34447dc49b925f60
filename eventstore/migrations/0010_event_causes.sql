-- What was carried out for a cause: which events a revert put back, for instance. Few events have one.
CREATE INDEX event_by_cause ON event (log_id, causation_id) WHERE causation_id IS NOT NULL;
