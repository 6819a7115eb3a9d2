import http.server, json, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version="HTTP/1.1"
    def do_GET(self):
        print("GET", self.path, flush=True)
        b=b'{"object":"list","data":[{"id":"tiny","object":"model"}]}'
        self.send_response(200); self.send_header("content-length",str(len(b))); self.send_header("content-type","application/json"); self.end_headers(); self.wfile.write(b)
    def do_POST(self):
        n=int(self.headers.get("content-length",0)); d=self.rfile.read(n)
        print("POST", self.path, dict(self.headers), d.decode(), flush=True)
        b=b'{}'
        self.send_response(200); self.send_header("content-length",str(len(b))); self.send_header("content-type","application/json"); self.end_headers(); self.wfile.write(b)
    def log_message(self,*a): pass
http.server.ThreadingHTTPServer(("127.0.0.1",8491),H).serve_forever()
