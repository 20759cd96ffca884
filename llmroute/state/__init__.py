"""What routers remember from one call to the next. Thread-safe; a copy in a process begins anew."""
