"""The inside of the sandbox: run by a fresh interpreter, never imported by the package.

`start` sets up the walls and forks two processes. `tester` runs the tests and `program` the
untrusted program; they exchange plain values over two pipes. Modules here import nothing of the
package and little of Python's library, to start fast.
"""
