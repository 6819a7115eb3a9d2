"""The inside of the sandbox: run by a fresh interpreter, never imported by the package.

`start` puts up the walls and forks two processes. `tester` runs the tests, and `program` runs the
program that nobody has read; they exchange plain values over two pipes. Modules here import
nothing of the package, and little of Python's library, since each program waits for them.
"""
