"""The life of a server: its options taken, its pod watched and waited for, its spawn taken up again, its end."""
