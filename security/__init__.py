"""Who is asking and what is theirs: tokens, keys, ownership, passwords; nothing here knows a task."""
