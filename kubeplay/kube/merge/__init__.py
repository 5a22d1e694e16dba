"""Strategic merges as kubectl and kustomize do them: pure, over plain objects. Import from the modules.

keys        which lists are merged, and by what (generated from the API's description)
strategic   a patch upon an object: `apply(body, patch, record)`
difference  the patch that makes one object another
three_way   last applied, file, live -> the patch and the merged object
empties     what a server does not store
json_merge  the same by RFC 7386, for kinds whose fields nobody knows
"""
