"""Files against what runs: what would change (planning), bringing it about, history. Import from the modules."""
