"""Who changes many findings at once takes turns with whoever judges."""
