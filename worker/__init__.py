"""The processes: settings, composition, loops, the command line and the embedded servers."""
