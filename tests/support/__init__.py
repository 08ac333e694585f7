"""What the tests share: servers, users, raw connections, checks. No tests."""
