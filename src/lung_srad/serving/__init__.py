"""The page and the REST service: a recording in over HTTP, the answers of ``lung-srad classify`` out.

server.py   the socket, deadlines of connections, a stop that finishes or refuses
guard.py    who may ask: host, origin, token; what is logged; headers of every answer
app.py      the routes and their OpenAPI
uploads.py  a body, counted while it is read, into a file without a name
decoding.py the process that decodes, seen from here; decoding_child.py is that process, framing.py how they talk
desk.py     the model, one worker, a bounded queue, and what happens when nobody waits any more
answers.py  the forms of an answer
static/     the page: HTML, CSS and JavaScript as they are, without a build

Everything here needs the extra ``serve``; import it after :func:`lung_srad.errors.optional_import`.
"""
