"""OpenTelemetry: the figures by its metrics API, which does nothing where no SDK is configured."""
