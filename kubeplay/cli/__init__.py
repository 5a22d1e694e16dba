"""The command line: rows declare the commands, a body is a few lines over the library.

declare.py holds the rows' types, tree.py names every command, one file per noun holds rows and bodies.
quick.py parses a well-formed command line from the rows alone; clicks.py builds the same commands in click, for help,
completion, errors and everything quick.py does not take: importing click costs more than a whole `ps` (DESIGN.md, table of imports).
"""
