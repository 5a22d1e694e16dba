"""Objects in words: the sections that `kubectl describe` prints, from the object and its events alone."""
