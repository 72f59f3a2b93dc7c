package inprocess

import (
	"math"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

const (
	maxMessage        = math.MaxInt32
	defaultMaxReceive = 4 << 20
)

// options are what a caller asks for. Those about connections and transports are
// not among them, since there are none.
type options struct {
	headers, trailers []*metadata.MD
	peers             []*peer.Peer
	onFinish          []func(error)
	maxReceive        int
	maxSend           int
	creds             credentials.PerRPCCredentials
	// codec is the caller's, serverCodec the handler's for the same messages.
	codec, serverCodec encoding.CodecV2
	// foreign says that the codec may return memory that is not its own.
	foreign bool
	// observed tells of the caller's end.
	observed *observed
}

func (s *Server) readOptions(opts []grpc.CallOption) (options, error) {
	o := options{maxReceive: defaultMaxReceive, maxSend: maxMessage, codec: s.codec, serverCodec: s.codec}
	subtype := ""
	for _, opt := range opts {
		switch opt := opt.(type) {
		case grpc.HeaderCallOption:
			o.headers = append(o.headers, opt.HeaderAddr)
		case grpc.TrailerCallOption:
			o.trailers = append(o.trailers, opt.TrailerAddr)
		case grpc.PeerCallOption:
			o.peers = append(o.peers, opt.PeerAddr)
		case grpc.OnFinishCallOption:
			o.onFinish = append(o.onFinish, opt.OnFinish)
		case grpc.MaxRecvMsgSizeCallOption:
			o.maxReceive = opt.MaxRecvMsgSize
		case grpc.MaxSendMsgSizeCallOption:
			o.maxSend = opt.MaxSendMsgSize
		case grpc.PerRPCCredsCallOption:
			o.creds = opt.Creds
		case grpc.ContentSubtypeCallOption:
			subtype = strings.ToLower(opt.ContentSubtype)
		case grpc.ForceCodecV2CallOption:
			o.codec, o.foreign = opt.CodecV2, true
		case grpc.ForceCodecCallOption:
			o.codec, o.foreign = codecV1{opt.Codec}, true
		}
	}
	switch {
	case subtype == "" && o.foreign:
		subtype = strings.ToLower(o.codec.Name())
	case subtype != "" && !o.foreign:
		if o.codec = codecFor(subtype); o.codec == nil {
			return o, status.Errorf(codes.Internal, "no codec registered for content-subtype %s", subtype)
		}
	}
	// A server that does not know the subtype takes it for proto.
	if codec := codecFor(subtype); codec != nil {
		o.serverCodec = codec
	}
	return o, nil
}

func codecFor(subtype string) encoding.CodecV2 {
	if codec := encoding.GetCodecV2(subtype); codec != nil {
		return codec
	}
	if codec := encoding.GetCodec(subtype); codec != nil {
		return codecV1{codec}
	}
	return nil
}

// codecV1 is an old codec in the place of a new one.
type codecV1 struct{ encoding.Codec }

func (c codecV1) Marshal(v any) (mem.BufferSlice, error) {
	data, err := c.Codec.Marshal(v)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

func (c codecV1) Unmarshal(data mem.BufferSlice, v any) error {
	return c.Codec.Unmarshal(data.Materialize(), v)
}

// encode makes bytes of a caller's message, within its limit.
func (o *options) encode(m any) (mem.BufferSlice, error) {
	data, err := o.codec.Marshal(m)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	if n := data.Len(); n > o.maxSend {
		data.Free()
		return nil, status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", n, o.maxSend)
	}
	o.observed.sent(m, data.Len())
	if o.foreign {
		own := mem.BufferSlice{mem.SliceBuffer(data.Materialize())}
		data.Free()
		return own, nil
	}
	return data, nil
}

// decode makes a caller's message of bytes, within its limit, and frees them.
func (o *options) decode(data mem.BufferSlice, m any) error {
	defer data.Free()
	if n := data.Len(); n > o.maxReceive {
		return tooLarge(n, o.maxReceive)
	}
	if err := o.codec.Unmarshal(data, m); err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	o.observed.received(m, data.Len())
	return nil
}

func tooLarge(n, most int) error {
	return status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", n, most)
}

// encodeReply makes bytes of a handler's message.
func (o *options) encodeReply(c *call, m any) (mem.BufferSlice, error) {
	data, err := o.serverCodec.Marshal(m)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	c.sendHeader()
	c.observed.sent(m, data.Len())
	return data, nil
}

// decodeRequest makes a handler's message of bytes, and frees them.
func (o *options) decodeRequest(c *call, data mem.BufferSlice, m any) error {
	defer data.Free()
	if n, most := data.Len(), c.server.config.MaxReceiveBytes; n > most {
		return tooLarge(n, most)
	}
	if err := o.serverCodec.Unmarshal(data, m); err != nil {
		return status.Errorf(codes.Internal, "grpc: error unmarshalling request: %v", err)
	}
	c.observed.received(m, data.Len())
	return nil
}

// tell fills in what a caller asked to be told, when a call has ended with err.
func (o *options) tell(c *call, err error) {
	var header, trailer metadata.MD
	if c != nil && (o.headers != nil || o.trailers != nil || o.observed != nil) {
		header, trailer = c.told()
	}
	if c != nil {
		for _, h := range o.headers {
			*h = header.Copy()
		}
		for _, t := range o.trailers {
			*t = trailer.Copy()
		}
		for _, p := range o.peers {
			*p = peer.Peer{Addr: Addr{}, LocalAddr: Addr{}, AuthInfo: c.server.config.AuthInfo}
		}
	}
	if header != nil {
		o.observed.headerIn(header)
	}
	o.observed.end(trailer, err)
	for _, f := range o.onFinish {
		f(err)
	}
}

// told returns the metadata that has arrived.
func (c *call) told() (header, trailer metadata.MD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent {
		header = c.arrived()
	}
	if c.ended() {
		trailer = c.trailer
	}
	return header, trailer
}
