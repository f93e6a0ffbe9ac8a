"""Door 2: pages for people. They work without JavaScript, and nothing in them comes from elsewhere."""
