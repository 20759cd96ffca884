"""What routers remember from one call to the next. Thread-safe; a copy starts empty."""
