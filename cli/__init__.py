"""The command line. Contains no HTTP and no SQL."""
