"""From records to what people read: docs/results, the bundle cards, the headline figures of the README."""
