"""Why a kernel takes the time that it takes: as text, as JSON, as a trace, as a picture."""
