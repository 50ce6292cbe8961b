import socket

server = socket.socket()
server.bind(("", 80))
server.listen()
print("bound", server.getsockname()[1])
