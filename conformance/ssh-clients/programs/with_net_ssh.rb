# Net::SSH and Net::SFTP of Ruby, as Capistrano and Chef use them.
require 'digest'
require 'net/sftp'
require 'net/ssh'
require 'socket'

env = ENV
input = File.binread(env['INPUT'])
say = ->(step, *values) { puts "#{step}: #{values.join(' ')}"; $stdout.flush }
yes = ->(value) { value ? 'True' : 'False' }
options = { port: env['PORT'].to_i, keys: [env['KEY']], keys_only: true, verify_host_key: :never, config: false, use_agent: false }

Net::SSH.start(env['HOST'], env['LOGIN'], **options) do |session|
  run = lambda do |command, data: nil, pty: nil|
    out, err, status = ''.b, ''.b, nil
    session.open_channel do |channel|
      channel.request_pty(term: 'xterm', chars_wide: 100, chars_high: 30) if pty
      started = lambda do |_, ok|
        raise 'not started' unless ok

        channel.on_data { |_, part| out << part }
        channel.on_extended_data { |_, _, part| err << part }
        channel.on_request('exit-status') { |_, part| status = part.read_long }
        channel.send_data(data) if data
        channel.eof! unless pty
      end
      pty ? channel.send_channel_request('shell', &started) : channel.exec(command, &started)
    end
    session.loop
    [status, out, err]
  end
  say.call('exec', *run.call(env['COMMAND']).map { |value| value.to_s.strip })
  say.call('input', run.call('sha256sum', data: input)[1])
  say.call('output', Digest::SHA256.hexdigest(run.call(env['OUTPUT_COMMAND'])[1]))
  status, shown, = run.call('', data: "stty size; test -t 0 && echo a-$TERM; exit 5\n", pty: true)
  say.call('shell', status, yes.call(shown.include?('30 100')), yes.call(shown.include?('a-xterm')))

  sftp = session.sftp
  sftp.connect!
  path = File.join(env['PLACE'], 'file')
  sftp.upload!(env['INPUT'], "#{path}.new")
  sftp.rename!("#{path}.new", path)
  names = sftp.dir.entries(env['PLACE']).map(&:name).reject { |name| name.start_with?('.') }
  say.call('sftp', Digest::SHA256.hexdigest(sftp.download!(path)), "[#{names.map { |name| "'#{name}'" }.join(', ')}]", sftp.stat!(path).size)
  sftp.remove!(path)

  session.open_channel('direct-tcpip', :string, '127.0.0.1', :long, env['ECHO'].to_i, :string, '127.0.0.1', :long, 1) do |channel|
    channel.on_data do |_, part|
      say.call('forward', part)
      channel.close
    end
    channel.send_data('through')
  end.on_open_failed { |_, code, words| raise "#{code} #{words}" }
  session.loop { |one| one.busy? && !one.closed? && one.channels.any? { |_, channel| channel.type == 'direct-tcpip' } }
end
