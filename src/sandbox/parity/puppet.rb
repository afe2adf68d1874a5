# A report of Puppet's own kind (https://www.puppet.com/docs/puppet/7/reporting_write_processors.html) that onramp reads: a line of
# JSON for each resource that the code declares. What has no line of code is Puppet's own.
require 'json'
require 'puppet'

Puppet::Reports.register_report(:onramp) do
  desc 'What each resource comes to, for onramp.'

  def process
    declared = resource_statuses.values.select { |resource| resource.file && !%w[Class Stage].include?(resource.resource_type) }
    lines = declared.map do |resource|
      event = resource.events.find { |found| found.status == 'failure' } || resource.events.first
      JSON.generate(
        'name' => resource.resource.to_s.scrub,
        'failed' => resource.failed || resource.failed_to_restart ? true : false,
        'skipped' => resource.skipped ? true : false,
        'differs' => resource.out_of_sync ? true : false,
        'absent' => event && event.previous_value.to_s == 'absent' ? true : false,
        'why' => event ? "#{event.property}: #{event.message}".scrub : ''
      )
    end
    File.write(File.join(Puppet[:vardir], 'onramp.json'), lines.join("\n"))
  end
end
