"""Large things held once: files and pixels in memory that processes share, and unpacked only while they are read."""
